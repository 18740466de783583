"""What operators look at: alerts, score, dashboard, analytics."""
