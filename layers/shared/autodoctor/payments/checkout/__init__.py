"""Buying by card: prices, Stripe's Checkout pages, and what a payment does."""
