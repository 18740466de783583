"""The ledger and what is booked in it: settlement, credits, fees, earnings, referrals."""
