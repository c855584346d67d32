package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"testing"

	"weir/schemas/topic"
)

func TestJanitorDeletesCommittedRecordsOnly(t *testing.T) {
	dir := t.TempDir()
	b := openBroker(t, dir)
	defer func() { b.close() }()
	c, admin := client(t, b.addr, b.login)
	if _, err := admin.CreateTopic(t.Context(), 2, 1, nil, topic.Name); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		produce(t, c, topic.Name, fmt.Appendf(nil, "%d", i))
	}
	committed := map[int32]int64{}
	j := NewJanitor(JanitorConfig{Topic: topic.Name}, JanitorDeps{
		Dir: dir, Admin: admin, Log: slog.New(slog.DiscardHandler),
		Committed: func(context.Context) (map[int32]int64, error) { return committed, nil },
	})
	check := func(want int64) {
		t.Helper()
		if err := j.Clean(t.Context()); err != nil {
			t.Fatal(err)
		}
		starts, err := admin.ListStartOffsets(t.Context(), topic.Name)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := starts.Lookup(topic.Name, 0); got.Offset != want {
			t.Errorf("committed %v: log starts at %d, want %d", committed, got.Offset, want)
		}
	}
	check(0) // no table has anything
	committed[0] = 4
	check(3) // the last committed record is kept
	committed[0] = 2
	check(3) // an older offset does not move the start back
	committed[0] = 10
	check(9)
	committed[0] = 99 // the lake is ahead of the log: its offsets belong to another log
	check(9)

	c.Close()
	b.close()
	b = openBroker(t, dir)
	_, admin = client(t, b.addr, b.login)
	ends, err := admin.ListEndOffsets(t.Context(), topic.Name)
	if err != nil {
		t.Fatal(err)
	}
	if end, _ := ends.Lookup(topic.Name, 0); end.Offset != 10 {
		t.Errorf("after a restart the log ends at %d, want 10", end.Offset)
	}
}

func TestJanitorReportsFull(t *testing.T) {
	b := openBroker(t, t.TempDir())
	defer b.close()
	c, admin := client(t, b.addr, b.login)
	if _, err := admin.CreateTopic(t.Context(), 2, 1, nil, topic.Name); err != nil {
		t.Fatal(err)
	}
	committed := map[int32]int64{}
	check := func(cfg JanitorConfig, want error) {
		t.Helper()
		cfg.Topic = topic.Name
		j := NewJanitor(cfg, JanitorDeps{
			Dir: b.dir, Admin: admin, Log: slog.New(slog.DiscardHandler),
			Committed: func(context.Context) (map[int32]int64, error) { return committed, nil },
		})
		if err := j.Clean(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := j.Full(); !errors.Is(err, want) {
			t.Errorf("%+v, committed %v: full = %v, want %v", cfg, committed, err, want)
		}
	}
	small := JanitorConfig{LogCap: 500 << 10}
	check(small, nil)
	big := make([]byte, 100<<10)
	if _, err := io.ReadFull(randomBytes(int64(len(big))), big); err != nil {
		t.Fatal(err)
	}
	produce(t, c, topic.Name, slices.Repeat([][]byte{big}, 6)...)
	check(small, ErrLogFull)
	check(JanitorConfig{LogCap: 10 << 20}, nil)
	committed[0] = 2 // 400 KiB are uncommitted, although the file keeps its size
	check(small, nil)
	committed[0] = 0
	check(small, ErrLogFull)
	check(JanitorConfig{MinFree: 1 << 62}, ErrDiskFull)
}
