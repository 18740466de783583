"""The operators' commands, and the work behind them that nothing else uses."""
