"""Changes by admins to mechanics, workshops, plans and credit packs; each leaves a row that names the admin."""
