package main

// embeddedAttacks are local users at the embedded broker, the embedded store and the admin listener.
func embeddedAttacks() []attack {
	return nil
}
