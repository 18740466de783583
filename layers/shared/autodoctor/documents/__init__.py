"""What people keep of their money: receipts of customers, statements of mechanics; as data and on paper."""
