package view

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/property"
	"weir/schemas/rollup"
)

// Limits of what is remembered of opt-outs.
const (
	fileOptOuts   = 4 << 10   // observations of one data file; of more only that there are some
	optOutRows    = 256 << 10 // observations of all data files; with more all is forgotten
	optOutFiles   = 64 << 10  // data files
	optOutClients = 1 << 10   // clients that are looked for in a data file of more observations
)

// optOutFacts remembers what the data files say of opt-outs, so that reports of
// products in which nobody opted out cost what they cost without opt-outs. Data
// files never change, so what it remembers is never stale. It is safe for
// concurrent use.
type optOutFacts struct {
	mu    sync.Mutex // guards the fields below
	files map[productFile]*fileFacts
	rows  int
}

// productFile is the rows of one product in a data file.
type productFile struct {
	path    string
	product int64
}

// fileFacts is what the rows of a product in a data file say. It does not change
// once it is remembered.
type fileFacts struct {
	reported bool // a row reports the flag
	out      bool // a row says that its client is out
	many     bool // rows are not kept: there are more than fileOptOuts
	rows     []rollup.OptOut
}

// add adds an observation.
func (f *fileFacts) add(o rollup.OptOut) {
	f.reported, f.out = true, f.out || o.Out
	if f.many = f.many || len(f.rows) == fileOptOuts; f.many {
		f.rows = nil
		return
	}
	f.rows = append(f.rows, o)
}

// get returns what is remembered of a file; nil if nothing is.
func (k *optOutFacts) get(file productFile) *fileFacts {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.files[file]
}

// put remembers a file. Beyond the limits it forgets all others, which then are
// read again.
func (k *optOutFacts) put(file productFile, facts *fileFacts) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rows += len(facts.rows); k.files == nil || k.rows > optOutRows || len(k.files) >= optOutFiles {
		k.files, k.rows = map[productFile]*fileFacts{}, len(facts.rows)
	}
	k.files[file] = facts
}

// OptOuts reads what the clients of a product report of optOut.current, as of
// the watermark of a view. The view must have the rollups clients and, for All,
// client_days.
type OptOuts struct {
	View    *View
	Product int64
}

// filter is the rows of the product.
func (s OptOuts) filter() columns.Filter { return columns.Filter{Products: []int64{s.Product}} }

// Reported reports whether any client of the product ever reported the flag.
func (s OptOuts) Reported(ctx context.Context) (bool, error) {
	v := s.View
	if v.reportedOptOuts != nil {
		return *v.reportedOptOuts, nil
	}
	reported, err := s.inTable(ctx)
	if err == nil && !reported {
		reported, err = s.behindTable(ctx)
	}
	if err != nil {
		return false, err
	}
	if reported && !slices.Contains(v.columns, columns.Client) { // from now on gather needs them
		v.columns, v.gathered = append(slices.Clone(v.columns), columns.Client), nil
	}
	v.reportedOptOuts = &reported
	return reported, nil
}

// inTable reports whether a data file of clients has the flag.
func (s OptOuts) inTable(ctx context.Context) (bool, error) {
	for _, file := range lake.Prune(s.View.rollups[lake.Clients].files, s.filter()) {
		key := productFile{file.Path, s.Product}
		facts := s.View.optOuts.get(key)
		if facts == nil {
			facts = &fileFacts{}
			if err := s.readClients(ctx, file, facts); err != nil {
				return false, err
			}
			s.View.optOuts.put(key, facts)
		}
		if facts.reported {
			return true, nil
		}
	}
	return false, nil
}

// behindTable reports whether an event that clients does not have yet has the
// flag. It looks at each text of $client once for each batch, and parses none:
// a text that has the name elsewhere counts too, which costs time alone.
func (s OptOuts) behindTable(ctx context.Context) (bool, error) {
	const name = `"` + property.NameOptOut + `"`
	f := s.filter()
	f.OffsetFrom = s.View.rollups[lake.Clients].next
	for rec, err := range s.View.Events(ctx, []string{columns.Client}, f) {
		if err != nil {
			return false, err
		}
		rows, err := columns.Bind(rec)
		if err != nil {
			return false, fmt.Errorf("read events: %w", err)
		}
		texts := &rows.ClientProps
		seen := make([]bool, texts.DictionaryLen()) // it has texts of other products too
		for i := range rows.Rows {
			code := texts.Code(i)
			if texts.Null(i) || code >= 0 && seen[code] {
				continue
			}
			if strings.Contains(texts.At(i), name) {
				return true, nil
			}
			if code >= 0 {
				seen[code] = true
			}
		}
	}
	return false, nil
}

// readClients notes whether a row of a data file of clients reports the flag.
func (s OptOuts) readClients(ctx context.Context, file lake.DataFile, facts *fileFacts) error {
	for b, err := range s.View.lake.ClientBatches(ctx, []lake.DataFile{file}, s.filter(), rollup.WantProperties) {
		if err != nil {
			return err
		}
		for i, client := range b.Client {
			if _, facts.reported, err = rollup.FindOptOut(client, b.Properties[i]); err != nil || facts.reported {
				return err
			}
		}
	}
	return nil
}

// All yields what client days say of the flag: with onlyOut those that say that
// the client is out, else those of the given clients, nil being all. It may
// yield more. A data file is read once for each product, and again only if it
// has very many observations.
func (s OptOuts) All(ctx context.Context, clients []int64, onlyOut bool) iter.Seq2[rollup.OptOut, error] {
	return func(yield func(rollup.OptOut, error) bool) {
		if reported, err := s.Reported(ctx); err != nil {
			yield(rollup.OptOut{}, err)
			return
		} else if !reported {
			return
		}
		t := s.View.rollups[lake.ClientDays]
		for _, file := range lake.Prune(t.files, s.filter()) {
			more, err := s.ofFile(ctx, file, clients, onlyOut, yield)
			if err != nil {
				yield(rollup.OptOut{}, err)
			}
			if err != nil || !more {
				return
			}
		}
		for set, err := range s.View.gather(ctx, t, s.filter()) {
			if err != nil {
				yield(rollup.OptOut{}, err)
				return
			}
			for o := range rollup.OptOuts(set) {
				if !yield(o, nil) {
					return
				}
			}
		}
	}
}

// ofFile yields the observations of one data file of client_days and reports
// whether to go on.
func (s OptOuts) ofFile(
	ctx context.Context, file lake.DataFile, clients []int64, onlyOut bool, yield func(rollup.OptOut, error) bool,
) (more bool, err error) {
	key := productFile{file.Path, s.Product}
	facts := s.View.optOuts.get(key)
	if facts == nil {
		facts = &fileFacts{}
		if err := s.scan(ctx, file, nil, func(o rollup.OptOut) bool { facts.add(o); return true }); err != nil {
			return false, err
		}
		s.View.optOuts.put(key, facts)
	}
	more = true
	switch {
	case !facts.reported, onlyOut && !facts.out:
		return true, nil
	case facts.many:
		err = s.scan(ctx, file, clients, func(o rollup.OptOut) bool {
			more = onlyOut && !o.Out || yield(o, nil)
			return more
		})
		return more, err
	}
	for _, o := range facts.rows {
		if !yield(o, nil) {
			return false, nil
		}
	}
	return true, nil
}

// scan calls add for each observation of a data file of client_days, until it
// returns false. Many clients are not looked for one by one.
func (s OptOuts) scan(ctx context.Context, file lake.DataFile, clients []int64, add func(rollup.OptOut) bool) error {
	f := s.filter()
	if len(clients) <= optOutClients {
		f.Clients = clients
	}
	for b, err := range s.View.lake.DayBatches(ctx, []lake.DataFile{file}, f, rollup.WantProperties) {
		if err != nil {
			return err
		}
		for i, code := range b.Client.Codes {
			o, found, err := rollup.FindOptOut(b.Client.Values[code], b.Properties[i])
			if err != nil {
				return err
			}
			if found && !add(o) {
				return nil
			}
		}
	}
	return nil
}
