"""What is sent to Stripe once it is due: payouts, refunds, reversals."""
