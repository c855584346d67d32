package main

// cardinalityAttacks are names and numbers without end.
func cardinalityAttacks() []attack {
	return nil
}
