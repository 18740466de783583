"""Money and credits: plans, the ledger, credits, settlement and what mechanics earn."""
