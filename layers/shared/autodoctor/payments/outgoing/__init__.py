"""Jobs that Stripe is asked to do once they are due: payouts, refunds, reversals."""
