package main

// placesAttacks are clients that hold places.
func placesAttacks() []attack {
	return nil
}
