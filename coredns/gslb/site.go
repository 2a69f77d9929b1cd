package gslb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/coredns/mouth"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/source"
	"github.com/rhumb-dns/rhumb/spec"
)

// site is what the records of a server block are answered from. It outlives a
// reload: what is known of the health of backends stays, and so do operators' words.
type site struct {
	engine *rhumb.Engine
	words  *words
	tally  tally

	ctx     context.Context
	running sync.WaitGroup

	mu      sync.Mutex // of who puts a statement in force
	want    *statement
	file    *source.File
	unwatch context.CancelFunc
	served  atomic.Pointer[served]
}

// sites are those of all server blocks, by what tells these apart.
var sites = mouth.Shared[*site, *statement]{Apply: func(s *site, wants []*statement) error { return s.follow(wants[0]) }}

// found makes a site whose words are kept in a directory; empty: in memory.
func found(dir string) (*site, func(), error) {
	w, err := openWords(dir)
	if err != nil {
		return nil, nil, err
	}
	s := &site{words: w}
	o := rhumb.Options{Logger: log, Seen: s.tally.seen}
	if w.keeper != nil {
		o.Keeper = w.keeper
	}
	if s.engine, err = rhumb.New(o); err != nil {
		return nil, nil, errors.Join(err, w.close())
	}
	ctx, stop := context.WithCancel(context.Background())
	s.ctx = ctx
	s.running.Go(func() {
		if err := s.engine.Run(ctx); err != nil {
			log.Error("the engine has ended", "error", err)
		}
	})
	// From 0, so that a rate sees the first of each.
	for _, result := range reloaded {
		reloads.WithLabelValues(result)
	}
	enroll(s)
	return s, func() {
		dismiss(s)
		stop()
		s.running.Wait()
		if err := w.close(); err != nil {
			log.Error("what the API has said is not closed", "error", err)
		}
	}, nil
}

// The SOA record of a zone that states none of its own, in seconds. Records change at
// any moment, so that "no" is not remembered for long.
const (
	soaTTL     = 300
	soaRefresh = 7200
	soaRetry   = 1800
	soaExpire  = 86400
	soaMinimum = 30
)

// document is the statement in Rhumb's words. It includes the user's files, in theirs.
func (s *statement) document() []byte {
	type include struct {
		Path    string `yaml:"path"`
		Dialect string `yaml:"dialect"`
		Zone    string `yaml:"zone,omitempty"`
		Debug   bool   `yaml:"debug_txt,omitempty"`
	}
	type zone struct {
		Records []string `yaml:"records"`
	}
	var doc struct {
		Include []include       `yaml:"include"`
		DNS     map[string]any  `yaml:"dns"`
		Geo     map[string]any  `yaml:"geo,omitempty"`
		Health  map[string]any  `yaml:"health,omitempty"`
		Zones   map[string]zone `yaml:"zones"`
	}
	const dialect = "coredns-gslb"
	doc.Zones = map[string]zone{}
	for _, z := range s.zones {
		name := z.zone.String()
		doc.Include = append(doc.Include, include{z.path, dialect, name, !s.noTXT})
		// Made up as CoreDNS does it; a zone file beside us has the real ones.
		doc.Zones[name] = zone{[]string{
			fmt.Sprintf("@ %d SOA ns.dns hostmaster %d %d %d %d %d", soaTTL, changed(z.path), soaRefresh, soaRetry, soaExpire, soaMinimum),
			fmt.Sprintf("@ %d NS ns.dns", soaTTL),
		}}
	}
	for _, path := range []string{s.profiles, s.subnets} {
		if path != "" {
			doc.Include = append(doc.Include, include{Path: path, Dialect: dialect})
		}
	}
	doc.DNS = map[string]any{"ecs": s.ecs}
	if len(s.databases) > 0 {
		doc.Geo = map[string]any{"databases": s.databases}
	}
	doc.Health = map[string]any{}
	if s.idleAfter > 0 {
		doc.Health["idle_after"], doc.Health["idle_multiplier"] = s.idleAfter.String(), s.idleMultiplier
	}
	if s.batch > 0 {
		doc.Health["start_batch"] = min(s.batch, spec.MaxStartBatch)
	}
	if s.within > 0 {
		doc.Health["start_within"] = min(s.within, 24*time.Hour).String()
	}
	b, err := yaml.Marshal(doc)
	if err != nil {
		panic(err) // of maps, lists and words
	}
	return b
}

// changed is when a file last was, as the serial of a zone; 1 when nobody knows.
func changed(path string) uint32 {
	st, err := os.Stat(path)
	if err != nil {
		return 1
	}
	return uint32(st.ModTime().Unix())
}

// inside is the name of the statement in messages that are about no file.
const inside = "gslb"

func (s *statement) source(enabled func(record, address string) (bool, bool)) *source.File {
	f := source.NewText(inside, s.document, log)
	f.Enabled = enabled
	return f
}

// check says what is wrong with a statement without anything being begun.
func (s *statement) check() error {
	e, err := rhumb.New(rhumb.Options{})
	if err != nil {
		return err
	}
	sp, err := s.source(nil).Load()
	if err != nil {
		return s.told(err)
	}
	_, err = e.Prepare(sp)
	return s.told(err)
}

// told has errors in our own words, which are about files that cannot be read, name the line
// of the Corefile that names the file.
func (s *statement) told(err error) error {
	var all spec.Errors
	if !errors.As(err, &all) {
		return err
	}
	all = slices.Clone(all)
	for i := range all {
		e := &all[i]
		if e.File != inside {
			continue
		}
		for file, at := range s.stated {
			whole, err := filepath.Abs(file)
			if strings.HasPrefix(e.Msg, file+": ") || err == nil && strings.HasPrefix(e.Msg, whole+": ") {
				*e = spec.Error{File: at.file, Line: at.line, Msg: e.Msg}
				break
			}
		}
	}
	return all
}

// follow puts a statement in force, and from then on what its files become.
func (s *site) follow(want *statement) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := want.source(s.words.said)
	sp, err := s.load(f)
	if err != nil {
		return want.told(err)
	}
	if s.unwatch != nil {
		s.unwatch()
	}
	ctx, stop := context.WithCancel(s.ctx)
	s.want, s.file, s.unwatch = want, f, stop
	s.running.Go(func() {
		if err := f.Watch(ctx, func() { s.reload(ctx) }); err != nil {
			log.Error("files are not watched any more", "error", err)
		}
	})
	warn(sp)
	return nil
}

// load puts in force what the files say.
func (s *site) load(f *source.File) (*spec.Spec, error) {
	sp, err := f.Load()
	if err != nil {
		return nil, err
	}
	change, err := s.engine.Prepare(sp)
	if err != nil {
		return nil, err
	}
	counted := s.tally.follow(sp.Records) // before there are results
	if err := s.engine.Commit(change); err != nil {
		s.tally.of.Store(counted)
		return nil, err
	}
	s.served.Store(serve(sp, s.engine.Snapshot(), s.served.Load()))
	return sp, nil
}

// reload is called when a file has become another. One that is wrong changes nothing.
func (s *site) reload(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return // another statement has come
	}
	sp, err := s.load(s.file)
	if err != nil {
		reloads.WithLabelValues(reloaded[1]).Inc()
		log.Error("what the files have become is not in force", "error", s.want.told(err))
		return
	}
	reloads.WithLabelValues(reloaded[0]).Inc()
	log.Info("the files have changed", "records", len(sp.Records))
	warn(sp)
}

// again puts the same files in force after operators' words have changed.
func (s *site) again() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.load(s.file)
	return err
}

// warn says what is allowed in the user's files and probably not meant. What
// is said of our own words is no concern of his.
func warn(s *spec.Spec) {
	for i := range s.Warnings {
		if w := &s.Warnings[i]; w.File != inside {
			log.Warn(strings.TrimSpace(w.Error()))
		}
	}
}

func (s *site) snapshot() *resolve.Snapshot { return s.engine.Snapshot() }

// settled is whether every check has had its first result.
func (s *site) settled() bool {
	select {
	case <-s.engine.Settled():
		return true
	default:
		return false
	}
}
