package main

// connectionsAttacks are connections that talk slowly, or too many.
func connectionsAttacks() []attack {
	return nil
}
