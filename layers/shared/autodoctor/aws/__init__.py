"""AWS's services for the functions: signed requests over kept connections."""
