package probe

import (
	"bytes"
	"context"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// TestHTTPHostile meets servers that mean no good, in every version of HTTP: each has
// its class, and costs no more than is read before it is known.
func TestHTTPHostile(t *testing.T) {
	const deadline = 5 * time.Second
	body, js := HTTP{Body: regexp.MustCompile(`^x*up`)}, HTTP{JSON: []Expectation{{"$.status", []Condition{{"=", "up"}}}}}
	// drip says b a byte a second.
	drip := func(p *peer, b []byte) {
		for i := range b {
			if !p.say(b[i : i+1]) {
				return
			}
			time.Sleep(time.Second)
		}
	}
	// flood says b without end.
	flood := func(p *peer, b []byte) {
		for p.say(b) { //nolint:revive // until the client is gone
		}
	}
	most := func(b []byte) []byte { return b[:len(b)-3] }
	const small = 4 << 10 // what a header takes, and what is on its way
	type hostile struct {
		name   string
		probe  HTTP
		play   func(v tongue, p *peer)
		class  Class
		detail string
		most   int // bytes that the server got rid of
	}
	for _, tc := range []hostile{
		{"says nothing", HTTP{}, func(tongue, *peer) {}, ClassTimeout, "timeout while waiting for the response's header", 0},
		{"drips its header", HTTP{}, func(v tongue, p *peer) {
			drip(p, v.head(200, true, field{"x", strings.Repeat("y", 100)}))
		}, ClassSlow, "timeout while waiting for the response's header", 20},
		{"drips its body", body, func(v tongue, p *peer) {
			p.say(v.head(200, true))
			drip(p, v.data(bytes.Repeat([]byte("x"), 100)))
		}, ClassSlow, "timeout while reading the response's body", small},
		{"stops in its header", HTTP{}, func(v tongue, p *peer) {
			p.say(most(v.head(200, true, field{"x", "y"})))
		}, ClassSlow, "timeout while waiting for the response's header", small},
		{"stops in its body", body, func(v tongue, p *peer) {
			p.say(v.head(200, true))
			p.say(v.data([]byte("xx")))
		}, ClassSlow, "timeout while reading the response's body", small},
		{"sends interim headers without end", HTTP{}, func(v tongue, p *peer) {
			if v.version == HTTP2 {
				p.say(frames2(func(fr *http2.Framer) { _ = fr.WriteSettings() }))
			}
			flood(p, v.head(103, false, field{"link", "x"}))
		}, ClassOversize, "", 6 * maxHeader},
		{"sends a header that is too long", HTTP{}, func(v tongue, p *peer) {
			var fields []field
			for range 3000 {
				fields = append(fields, field{"x", "0123456789"})
			}
			p.say(v.head(200, true, fields...))
		}, ClassOversize, "the response's header is longer than 32 KiB", 6 * maxHeader},
		{"sends a body without end", body, func(v tongue, p *peer) {
			p.say(v.head(200, true))
			flood(p, v.data(bytes.Repeat([]byte("x"), 1000)))
		}, ClassBody, "the beginning of the body (65536 bytes) does not match", 4 * maxBody},
		{"sends JSON without end", js, func(v tongue, p *peer) {
			p.say(v.head(200, true))
			p.say(v.data([]byte(`{"status":"up","x":"`)))
			flood(p, v.data(bytes.Repeat([]byte("x"), 1000)))
		}, ClassOversize, "the body is longer than the 64 KiB of JSON that are judged", 4 * maxBody},
		{"sends a body in crumbs", body, func(v tongue, p *peer) {
			p.say(v.head(200, true, field{"transfer", "x"}))
			flood(p, bytes.Repeat(v.data([]byte("xxxx")), 50))
		}, ClassBody, "the beginning of the body (65536 bytes) does not match", maxBodyWire + 4*maxBody},
		{"sends a bomb", body, func(v tongue, p *peer) {
			p.say(v.head(200, true, field{"content-encoding", "gzip"}))
			flood(p, v.data(bytes.Repeat([]byte{0}, 1000)))
		}, ClassBody, "the body is compressed", 8 * maxHeader},
		{"sends a body nobody reads", HTTP{}, func(v tongue, p *peer) {
			p.say(v.head(200, true))
			flood(p, v.data(bytes.Repeat([]byte("x"), 1000)))
		}, ClassNone, "", 8 * maxHeader},
		{"breaks off its header", HTTP{}, func(v tongue, p *peer) {
			p.say(most(v.head(200, true, field{"x", "y"})))
			p.reset()
		}, ClassReset, "while waiting for the response's header", small},
		{"breaks off its body", js, func(v tongue, p *peer) {
			head := v.head(200, true, field{"content-length", "9"})
			p.say(head)
			p.say(v.data([]byte("{")))
			synctest.Wait()
			p.reset()
		}, ClassReset, "while reading the response's body", small},
		{"ends without an answer", HTTP{}, func(_ tongue, p *peer) { p.end() }, ClassReset, "while waiting for the response's header", 0},
		{"ends in its header", HTTP{}, func(v tongue, p *peer) {
			p.say(most(v.head(200, true, field{"x", "y"})))
			p.end()
		}, ClassReset, "while waiting for the response's header", small},
		{"says garbage", HTTP{}, func(_ tongue, p *peer) {
			p.say(bytes.Repeat([]byte("\x07\x02garbage\xff\x00"), 20))
			p.end()
		}, ClassProtocol, "not HTTP", small},
		{"says an interim header and ends", HTTP{}, func(v tongue, p *peer) {
			p.say(v.head(103, true))
			p.end()
		}, ClassReset, "while waiting for the response's header", small},
		{"redirects in a circle", HTTP{FollowRedirects: true}, func(v tongue, p *peer) {
			p.say(v.head(302, true, field{"location", "/"}))
		}, ClassRedirect, "more than 10 redirects", small},
		{"nests without end", js, func(v tongue, p *peer) {
			p.say(v.head(200, true))
			p.say(v.data(bytes.Repeat([]byte("["), 16000)))
			p.say(v.data(bytes.Repeat([]byte("["), 16000)))
			p.end()
		}, ClassBody, "is not JSON", maxBody},
		{"says what is no JSON", js, func(v tongue, p *peer) {
			p.say(v.head(200, true))
			p.say(v.data([]byte(`{"status":"up"} x`)))
			p.end()
		}, ClassBody, "is JSON with something behind it", small},
	} {
		for _, v := range tongues {
			if v.version == HTTP2 && (tc.name == "nests without end" || tc.name == "says what is no JSON") {
				// The end of a body is a flag on its last frame.
				play := tc.play
				tc.play = func(v tongue, p *peer) {
					end := p.end
					p.end = func() {
						p.say(frames2(func(fr *http2.Framer) { _ = fr.WriteData(1, true, nil) }))
						end()
					}
					play(v, p)
				}
			}
			t.Run(tc.name+" "+v.version, func(t *testing.T) {
				hostility(t, v, tc.probe, deadline, func(p *peer) { tc.play(v, p) }, func(r Result, wrote int) {
					check(t, r, tc.class, tc.detail)
					if wrote > tc.most {
						t.Errorf("the server got rid of %d bytes, want %d at most", wrote, tc.most)
					}
					if late := r.Class == ClassTimeout || r.Class == ClassSlow; late != (r.RTT == deadline) || r.RTT > deadline {
						t.Errorf("took %v", r.RTT)
					}
				})
			})
		}
	}
}

// hostility runs one probe in a bubble whose server plays.
func hostility(t *testing.T, v tongue, o HTTP, deadline time.Duration, play func(*peer), judge func(r Result, wrote int)) {
	t.Helper()
	testCertificate(t) // with the real time
	synctest.Test(t, func(t *testing.T) {
		wrote := make(chan int, maxRedirects+1)
		s := perform(t, v.version, func(p *peer) {
			play(p)
			wrote <- p.wrote
		})
		o.Version = v.version
		if v.version == HTTP3 {
			o.TLS = &TLSConfig{SkipVerify: true} // the bubble's clock says 2000
		}
		o.Host = "www.example.com"
		ctx, cancel := contextWithTimeout(deadline)
		defer cancel()
		r := s.prober(t, o).Probe(ctx, somewhere)
		if n, m := s.open.Load(), s.packets.open.Load(); n != 0 || m != 0 {
			t.Errorf("%d connections and %d sockets open after the probe", n, m)
		}
		s.pipes.peers.Wait()
		s.packets.peers.Wait()
		close(wrote)
		most := 0
		for n := range wrote {
			most = max(most, n)
		}
		judge(r, most)
	})
}

// TestHTTP2Hostile is what only a server of HTTP/2 can do.
func TestHTTP2Hostile(t *testing.T) {
	settings := frames2(func(fr *http2.Framer) { _ = fr.WriteSettings() })
	after := func(b ...[]byte) []byte { return append(bytes.Clone(settings), bytes.Join(b, nil)...) }
	flood := func(b []byte) func(*peer) {
		return func(p *peer) {
			p.say(settings)
			for p.say(b) { //nolint:revive // until the client is gone
			}
		}
	}
	frame := func(write func(fr *http2.Framer)) []byte { return frames2(write) }
	headers := func(stream uint32, end, whole bool, block []byte) []byte {
		return frame(func(fr *http2.Framer) {
			_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, EndStream: end, EndHeaders: whole, BlockFragment: block})
		})
	}
	// A bomb: one field of 4,000 bytes, and a byte for each time that it comes again.
	bomb := append(block2(200, field{"x", strings.Repeat("y", 4000)}), bytes.Repeat([]byte{0x80 | 62}, 12000)...)
	for _, tc := range []struct {
		name   string
		probe  HTTP
		play   func(*peer)
		class  Class
		detail string
	}{
		{"HTTP/1", HTTP{}, func(p *peer) { p.say([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }, ClassProtocol, "the server speaks HTTP/1, not HTTP/2"},
		{"TLS", HTTP{}, func(p *peer) { p.say([]byte("\x15\x03\x01\x00\x02\x02\x0a")) }, ClassProtocol, "the server speaks TLS, not plain http"},
		{"no settings", HTTP{}, func(p *peer) { p.say(headers(1, true, true, block2(200))) }, ClassProtocol, "not HTTP/2"},
		{"pings", HTTP{}, flood(frame(func(fr *http2.Framer) { _ = fr.WritePing(false, [8]byte{}) })), ClassOversize, "more than 256 frames"},
		{"settings", HTTP{}, flood(settings), ClassOversize, "more than 256 frames"},
		{"unknown frames", HTTP{}, flood(frame(func(fr *http2.Framer) { _ = fr.WriteRawFrame(0xf1, 0, 0, nil) })), ClassOversize, "more than 256 frames"},
		{"large unknown frames", HTTP{}, flood(frame(func(fr *http2.Framer) { _ = fr.WriteRawFrame(0xf1, 0, 0, make([]byte, maxFrame2)) })), ClassOversize, "longer than 32 KiB"},
		{"a frame too large", HTTP{}, func(p *peer) {
			p.say(after(frame(func(fr *http2.Framer) { _ = fr.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, maxFrame2+1)) })))
		}, ClassProtocol, "malformed"},
		{"a header in empty pieces", HTTP{}, func(p *peer) {
			p.say(after(headers(1, false, false, block2(200))))
			for p.say(frame(func(fr *http2.Framer) { _ = fr.WriteContinuation(1, false, nil) })) { //nolint:revive // until the client is gone
			}
		}, ClassOversize, "longer than 32 KiB"},
		{"a header in pieces with something between", HTTP{}, func(p *peer) {
			p.say(after(headers(1, false, false, block2(200)), settings))
		}, ClassProtocol, "malformed"},
		{"a header as a bomb", HTTP{}, func(p *peer) { p.say(after(headers(1, true, true, bomb))) }, ClassOversize, "longer than 32 KiB"},
		{"a header that does not decode", HTTP{}, func(p *peer) { p.say(after(headers(1, true, true, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}))) }, ClassProtocol, "malformed"},
		{"a header that is cut", HTTP{}, func(p *peer) { p.say(after(headers(1, true, true, []byte{0x88, 0x40, 0x05}))) }, ClassProtocol, "malformed"},
		{"another stream", HTTP{}, func(p *peer) { p.say(after(headers(3, true, true, block2(200)))) }, ClassProtocol, "a stream that was not asked on"},
		{"data without header", HTTP{}, func(p *peer) {
			p.say(after(frame(func(fr *http2.Framer) { _ = fr.WriteData(1, true, []byte("x")) })))
		}, ClassProtocol, "the response has no header"},
		{"a second header", HTTP{Body: anything}, func(p *peer) {
			p.say(after(headers(1, false, true, block2(200)), headers(1, false, true, block2(200))))
		}, ClassProtocol, "second header"},
		{"nothing but an interim header", HTTP{}, func(p *peer) { p.say(after(headers(1, true, true, block2(103)))) }, ClassProtocol, "ends before its header"},
		{"reset", HTTP{}, func(p *peer) {
			p.say(after(frame(func(fr *http2.Framer) { _ = fr.WriteRSTStream(1, http2.ErrCodeRefusedStream) })))
		}, ClassReset, "the server reset the stream while waiting for the response's header: REFUSED_STREAM"},
		{"reset with a code of its own", HTTP{}, func(p *peer) {
			p.say(after(frame(func(fr *http2.Framer) { _ = fr.WriteRSTStream(1, 0x99999) })))
		}, ClassReset, "unknown error"},
		{"goes away", HTTP{}, func(p *peer) {
			p.say(after(frame(func(fr *http2.Framer) { _ = fr.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, []byte("s3cret")) })))
		}, ClassReset, "the server ended the connection while waiting for the response's header: ENHANCE_YOUR_CALM"},
		{"goes away and answers", HTTP{}, func(p *peer) {
			p.say(after(frame(func(fr *http2.Framer) { _ = fr.WriteGoAway(1, http2.ErrCodeNo, nil) }), headers(1, true, true, block2(200))))
		}, ClassNone, ""},
		{"pushes", HTTP{}, func(p *peer) {
			p.say(after(frame(func(fr *http2.Framer) {
				_ = fr.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true, BlockFragment: block2(200)})
			})))
		}, ClassProtocol, "the server pushes"},
		{"more than the window", HTTP{Body: regexp.MustCompile(`^x*$`)}, func(p *peer) {
			p.say(after(headers(1, false, true, block2(200))))
			for p.say(frame(func(fr *http2.Framer) { _ = fr.WriteData(1, false, bytes.Repeat([]byte("x"), maxFrame2)) })) { //nolint:revive // until the client is gone
			}
		}, ClassNone, ""},
		{"padding", HTTP{Body: anything}, func(p *peer) {
			p.say(after(headers(1, false, true, block2(200))))
			for p.say(frame(func(fr *http2.Framer) { _ = fr.WriteDataPadded(1, false, nil, make([]byte, 255)) })) { //nolint:revive // until the client is gone
			}
		}, ClassProtocol, "framed too finely"},
		{"trailers", HTTP{Body: regexp.MustCompile(`^x$`)}, func(p *peer) {
			p.say(after(headers(1, false, true, block2(200)), frame(func(fr *http2.Framer) { _ = fr.WriteData(1, false, []byte("x")) }),
				headers(1, true, true, []byte{0x00, 0x01, 'a', 0x01, 'b'})))
		}, ClassNone, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var before, behind runtime.MemStats
			runtime.ReadMemStats(&before)
			hostility(t, tongues[1], tc.probe, time.Second, tc.play, func(r Result, wrote int) {
				check(t, r, tc.class, tc.detail)
				if r.RTT != 0 || wrote > maxBodyWire+4*maxHeader {
					t.Errorf("took %v and %d bytes", r.RTT, wrote)
				}
			})
			runtime.ReadMemStats(&behind)
			if took := behind.TotalAlloc - before.TotalAlloc; took > 8<<20 {
				t.Errorf("took %d bytes of memory", took)
			}
		})
	}
}

// TestHTTP3Hostile is what only a server of HTTP/3 can do.
func TestHTTP3Hostile(t *testing.T) {
	head := frame3(frameHeaders, block3(200))
	for _, tc := range []struct {
		name   string
		probe  HTTP
		play   func(*peer)
		class  Class
		detail string
	}{
		{"data without header", HTTP{}, func(p *peer) { p.say(frame3(frameData, []byte("x"))) }, ClassProtocol, "the response has no header"},
		{"settings on the stream of the request", HTTP{}, func(p *peer) { p.say(frame3(frameSettings, nil)) }, ClassProtocol, "not HTTP/3"},
		{"a push", HTTP{}, func(p *peer) { p.say(frame3(0x5, nil)) }, ClassProtocol, "not HTTP/3"},
		{"frames of extensions", HTTP{}, func(p *peer) { p.say(append(frame3(0x21, []byte("grease")), head...)) }, ClassNone, ""},
		{"frames of extensions without end", HTTP{}, func(p *peer) {
			for p.say(frame3(0x21, make([]byte, 1000))) { //nolint:revive // until the client is gone
			}
		}, ClassOversize, "longer than 32 KiB"},
		{"a frame as long as the world", HTTP{}, func(p *peer) {
			p.say([]byte{0x21, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
			for p.say(make([]byte, 1000)) { //nolint:revive // until the client is gone
			}
		}, ClassOversize, "longer than 32 KiB"},
		{"a header as long as the world", HTTP{}, func(p *peer) {
			p.say([]byte{0x1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		}, ClassOversize, "longer than 32 KiB"},
		{"data as long as the world", HTTP{Body: anything}, func(p *peer) {
			p.say(append(head[:len(head):len(head)], 0x0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))
			for p.say(make([]byte, 1000)) { //nolint:revive // until the client is gone
			}
		}, ClassNone, ""},
		{"data that is cut", HTTP{Body: anything}, func(p *peer) {
			p.say(append(head[:len(head):len(head)], 0x0, 0x9, 'x'))
			p.end()
		}, ClassReset, "the server ended the stream while reading the response's body"},
		{"a header with a table", HTTP{}, func(p *peer) { p.say(frame3(frameHeaders, []byte{0x02, 0x00, 0x80})) }, ClassProtocol, "malformed"},
		{"a header that is cut", HTTP{}, func(p *peer) { p.say(frame3(frameHeaders, []byte{0x00, 0x00, 0x51})) }, ClassProtocol, "malformed"},
		{"the stream reset", HTTP{}, func(p *peer) { p.reset() }, ClassReset, "the server reset the stream while waiting for the response's header"},
		{"the connection closed", HTTP{}, func(p *peer) { _ = p.conn.CloseWithError(0x102, "s3cret") }, ClassReset, "the server closed the connection while waiting for the response's header"},
		{"the connection closed in the body", HTTP{Body: anything}, func(p *peer) {
			p.say(head)
			synctest.Wait()
			_ = p.conn.CloseWithError(0x100, "s3cret")
		}, ClassReset, "the server closed the connection while reading the response's body"},
		{"streams of its own", HTTP{}, func(p *peer) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			for range 3 {
				s, err := p.conn.OpenUniStreamSync(ctx)
				if err != nil {
					p.t.Error(err)
					return
				}
				go func() {
					for {
						if _, err := s.Write(make([]byte, 1000)); err != nil {
							return
						}
					}
				}()
			}
			p.say(head)
		}, ClassNone, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			hostility(t, tongues[2], tc.probe, time.Second, tc.play, func(r Result, wrote int) {
				check(t, r, tc.class, tc.detail)
				if r.RTT > 100*time.Millisecond || wrote > 16*maxHeader {
					t.Errorf("took %v and %d bytes", r.RTT, wrote)
				}
			})
		})
	}
}
