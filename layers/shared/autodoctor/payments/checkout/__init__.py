"""What is bought by card: prices, Stripe's pages, and what a payment brings."""
