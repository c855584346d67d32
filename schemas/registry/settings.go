package registry

import (
	"context"
	"time"
)

// Setting returns what key was set to, or ErrNotFound.
func (r *Registry) Setting(ctx context.Context, key string) (string, error) { return "", errStub }

// SettingOnce sets key unless it is set, and returns what stands: of many
// writers the first wins and all hear its value.
func (r *Registry) SettingOnce(ctx context.Context, key, value string) (string, error) {
	return "", errStub
}

// TopicLayout returns the recorded layout of the events topic, "" if none is.
func (r *Registry) TopicLayout(ctx context.Context) (string, error) { return "", errStub }

// PutTopicLayout records the layout of the events topic and returns what
// stands: the first writer's.
func (r *Registry) PutTopicLayout(ctx context.Context, layout string) (string, error) {
	return "", errStub
}

// Lock gives name to owner for ttl, or ErrHeld. An owner that locks again
// lets its lock live on.
func (r *Registry) Lock(ctx context.Context, name, owner string, ttl time.Duration) error {
	return errStub
}

// Unlock ends owner's lock on name; a lock that is not its own stays.
func (r *Registry) Unlock(ctx context.Context, name, owner string) error { return errStub }
