"""Money that customers get back: refunds and disputes, and how their loss is split."""
