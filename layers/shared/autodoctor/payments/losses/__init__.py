"""Money that went back: refunds, disputes, and who bears them."""
