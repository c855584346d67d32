package main

// memoryAttacks are bodies that take memory.
func memoryAttacks() []attack {
	return nil
}
