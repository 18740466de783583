"""What Stripe keeps: payments, refunds, transfers, accounts, disputes."""
