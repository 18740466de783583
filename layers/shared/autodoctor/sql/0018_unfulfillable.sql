SELECT; -- to be filled
