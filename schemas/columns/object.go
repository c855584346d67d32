package columns

import "time"

// Object is one entry of a listing of an object store. The type is not in package
// objects because the lake's interface of a store contains it: the lake, and the
// processor and the query views with it, would then depend on the AWS SDK.
type Object struct {
	Key      string
	Size     int64 // bytes
	Modified time.Time
}
