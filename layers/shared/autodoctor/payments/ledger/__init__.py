"""The ledger and what is booked in it: credits, fees, earnings, referrals."""
