"""What operators run against a deployment: the commands, and the work behind those that nothing else uses."""
