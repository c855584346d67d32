package embedded

import "testing"

func TestAddressMustBeLoopback(t *testing.T) {
	for addr, ok := range map[string]bool{
		"": true, "127.0.0.1:0": true, "localhost:9092": true,
		"0.0.0.0:9092": false, ":9092": false, "10.0.0.1:1": false, "nonsense": false, "127.0.0.1:99999": false,
	} {
		if _, err := loopbackPort(addr); (err == nil) != ok {
			t.Errorf("%q: %v, want accepted = %v", addr, err, ok)
		}
	}
}
