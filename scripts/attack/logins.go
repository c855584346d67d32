package main

// loginsAttacks are guesses of passwords.
func loginsAttacks() []attack {
	return nil
}
