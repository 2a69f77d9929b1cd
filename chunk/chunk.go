package chunk

import (
	"errors"
	"hash/maphash"
	"os"
)

// Mark is what is kept of a stretch to know it again. Marks compare with ==.
type Mark struct {
	sum   uint64 // of its text
	first uint64 // of its first line, without the line's end
	Size  int32  // octets
	Lines int32  // a last line without its newline is one too
}

var seed = maphash.MakeSeed()

func hash(text []byte) uint64 { return maphash.Bytes(seed, text) }

// Cut is whether a stretch begins at a line.
type Cut uint8

const (
	Never Cut = iota // it belongs to what is before it
	May              // it can
	Must             // it does, however short the stretch before it is
)

// Divider knows what the lines mean. Its methods are called in the order of the
// text, from within Next. Lines come without their newline, with a CR before it,
// and are good until the method returns.
type Divider interface {
	// Line is the next line of new text; its answer is whether a stretch
	// begins there. That of the first line of a stretch is not asked for. A
	// line that has been told may turn out to begin a stretch of the last
	// reading: then Seen follows.
	Line(line []byte) Cut

	// Fits is whether stretch i of the last reading, whose text stands behind
	// the stretches that Next has given, means the same there as it did. behind
	// is the line that comes after it; nil at the end of the file, or when what
	// came after it then comes now. Never is no: the context is another, or the
	// stretch cannot end before that line. May and Must are yes, and say of that
	// line what Line would.
	Fits(i int, behind []byte) Cut

	// Seen is that stretch i of the last reading stands here: the Divider's
	// state becomes the one behind it.
	Seen(i int)
}

// Skipper is a Divider that says Must of no line, and is glad to be told many at
// once. Where nothing of the last reading can follow, it is so told those that
// come before a stretch has its wished size.
type Skipper interface {
	Divider
	// Skip is the next n lines of new text, each with its newline: as Line, but
	// that no stretch begins at any but the first.
	Skip(lines []byte, n int)
}

// Stretch is some whole lines of a file. Reader.Text has them.
type Stretch struct {
	Was  int // its number in the last reading; -1 is new
	Mark Mark
	Line int // of its first line, from 1
}

// Sizes are of stretches, in octets.
type Sizes struct {
	// Wished ends a stretch at the next line that may begin another. 0 is
	// 16 KiB.
	Wished int
	// Most is what a stretch has at most, and so a line; up to 1 GiB. 0 is
	// 16 MiB. Lines that cannot be parted are sure to be read where together
	// they have no more than Most less Wished.
	Most int
}

// File is a file that nothing has been read of.
type File struct {
	*os.File
	// Beside runs a function on another goroutine, which the reader's Close waits
	// for: two look at a large file. Nil: one does.
	Beside func(func())
}

// ErrLong is that the Divider found no place to end a stretch before it became
// too long. The error that wraps it names the line at which the stretch begins.
var ErrLong = errors.New("too long to be read as one stretch")

// ErrAgain is that the file changed under the eyes of a reader of NewFileReader,
// or could no longer be looked at: one of NewReader will read it.
var ErrAgain = errors.New("changed while it was read")
