// Package eventpb is the Kafka record of the topic `events`: event.proto and
// the code generated from it. Records are written and read by schemas/topic;
// the generated code is what that package is held against.
package eventpb

//go:generate protoc --proto_path=. --go_out=. --go_opt=paths=source_relative event.proto
