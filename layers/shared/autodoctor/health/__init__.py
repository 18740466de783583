"""What operators look at: verification and repair, alerts, score and analytics."""
