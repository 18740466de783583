"""`autodoctor demo`: a consultation that plays itself, with its people, their talk and call, and the money."""
