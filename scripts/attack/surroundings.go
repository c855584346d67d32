package main

// surroundingsAttacks are surroundings that stall.
func surroundingsAttacks() []attack {
	return nil
}
