"""What tests share: the whole system as a user starts it, and the truth about tapes."""
