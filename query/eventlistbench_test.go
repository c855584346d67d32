package query

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
)

const listEvents = 400_000

// listBenchWorld has listEvents of one product in the lake, over three months,
// and a tenth of that with its owners.
func listBenchWorld(b *testing.B) *listWorld {
	b.Helper()
	w := newListWorld(b, Config{})
	r := rand.New(rand.NewPCG(1, 1))
	users := make([][]byte, 200)
	for i := range users {
		users[i] = fmt.Appendf(nil, `{"id":"u%d","realm":["r%d"],"groups":["g%d","all"],"roles":["x"]}`, i, i%3, i%7)
	}
	event := func() schemas.Event {
		client := r.Int64N(5000)
		return schemas.Event{
			Product: 1, Client: 1000 + client, Time: listNow - r.Int64N(90*24*3600_000), Name: fmt.Sprint("event-", r.IntN(20)),
			RandomID: fmt.Sprint("id-", r.Int64()), SessionID: fmt.Sprint("s-", client), AppName: "app", AppVersion: "1.0",
			User: users[client%200], Properties: fmt.Appendf(nil, `{"page":"/docs/%d","ms":%d}`, r.IntN(1000), r.IntN(5000)),
		}
	}
	for _, n := range []int{listEvents, listEvents / 10} {
		for range n {
			w.append(int32(r.IntN(listShards)), event())
		}
		if n == listEvents {
			for shard, h := range w.shards {
				w.commit(int32(shard), h.next)
			}
		}
	}
	for _, h := range w.shards {
		h.holdBatch()
	}
	return w
}

// holdBatch makes the tail once, so that a benchmark does not measure how this
// test makes it.
func (h *fakeOwner) holdBatch() {
	var held []stored
	for _, s := range h.log {
		if s.offset >= h.state.Next {
			held = append(held, s)
		}
	}
	h.kept = batchOf(h.mem, held)
}

// BenchmarkAnalytics answers questions of the Events API, and reports how many rows
// of pages each decodes, counted for each column. The floor is a scan that reads the
// same columns, of the lake alone, and does nothing with them.
func BenchmarkAnalytics(b *testing.B) {
	w := listBenchWorld(b)
	defer w.letGo()
	q := everything()
	q.perPage = 10
	ask := func(name string, q naiveQuestion) {
		b.Run(name, func(b *testing.B) {
			answer := func() {
				if rec := w.post(eventsPath, "Bearer "+w.tokens["A"], q.body()); rec.Code != http.StatusOK {
					b.Fatalf("%d %s", rec.Code, rec.Body)
				}
			}
			answer() // footers are kept from then on
			before := lake.DecodedOf(w.deps.Lake)
			b.ReportAllocs()
			for b.Loop() {
				answer()
			}
			b.ReportMetric(float64(lake.DecodedOf(w.deps.Lake)-before)/float64(b.N), "decoded/op")
			speed(b, listEvents+listEvents/10)
		})
	}
	narrow := []string{columns.Time, columns.Shard, columns.Offset}
	b.Run("floor", func(b *testing.B) { w.readColumns(b, narrow) })
	ask("first page", q)
	deep := q
	deep.page, deep.perPage = 200, 1000
	ask("deep page of 1000", deep)
	deep.page = 1
	ask("page of 1000", deep)
	named := q
	named.names = []string{"event-3"}
	b.Run("floor with name", func(b *testing.B) { w.readColumns(b, append(narrow, columns.Name)) })
	ask("one name", named)
	named.names = []string{"never"}
	ask("no such name", named)
	b.Run("floor with user", func(b *testing.B) { w.readColumns(b, append(narrow, columns.User, columns.ClientID)) })
	of := q
	of.realms, of.groups = []string{"r1"}, []string{"g2", "g3"}
	ask("users of a realm", of)
	random := q
	random.randomIDs = []string{w.shards[1].log[7].RandomID}
	ask("one random id", random)
}

// BenchmarkUserEvents lists one client of 5,000 by the User Events API. The floor reads
// the same columns of all clients.
func BenchmarkUserEvents(b *testing.B) {
	w := listBenchWorld(b)
	defer w.letGo()
	b.Run("floor", func(b *testing.B) {
		w.readColumns(b, []string{columns.Time, columns.Shard, columns.Offset, columns.ProductID, columns.ClientID})
	})
	b.Run("one client", func(b *testing.B) {
		for b.Loop() {
			rec := w.post(userEventsPath, "Bearer "+w.tokens["A"], `{"refId":"1234","from":"2020-01-01","until":"2030-01-01"}`)
			if rec.Code != http.StatusOK {
				b.Fatalf("%d %s", rec.Code, rec.Body)
			}
		}
		speed(b, listEvents+listEvents/10)
	})
}

func (w *listWorld) letGo() {
	for _, h := range w.shards {
		h.kept.Release()
	}
}

func (w *listWorld) readColumns(b *testing.B, names []string) {
	b.Helper()
	snap, err := w.deps.Lake.Load(b.Context(), lake.Events)
	if err != nil {
		b.Fatal(err)
	}
	files, err := snap.Files(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		rows := int64(0)
		for rec, err := range w.deps.Lake.ScanEvents(b.Context(), files, names, columns.Filter{}) {
			if err != nil {
				b.Fatal(err)
			}
			rows += rec.NumRows()
		}
		if rows != listEvents {
			b.Fatalf("%d rows", rows)
		}
	}
	speed(b, listEvents)
}

func speed(b *testing.B, events int) {
	b.ReportMetric(float64(b.N)*float64(events)/b.Elapsed().Seconds()/1e6, "Mevents/s")
}
