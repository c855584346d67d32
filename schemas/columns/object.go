package columns

import "time"

// Object is one entry of a listing of an object store. The type is defined here
// so that the lake and the packages that implement a store need not import one
// another.
type Object struct {
	Key      string
	Size     int64 // bytes
	Modified time.Time
}
