"""Events that failed after every retry: listed, and sent again."""
