"""Money and credits. `settlement` books what an ended session leads to, `webhooks` acts on Stripe's events."""
