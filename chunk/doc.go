// Package chunk divides a text file into stretches of whole lines and tells
// which of them were in the file when it was last read, so that a reader of a
// large file parses only what is new.
//
//	file -> buffer -> a stretch that was there before: its number
//	                  new text: its lines, as far as a Divider lets it go
//
// Where the last stretch ended, the one that came next in the last reading is
// tried first, then those that begin with the same line. What it knows of a
// stretch is its Mark, two hashes of 64 bits with a seed of the process, so
// marks are of no use in another process, and no text can be written to be
// taken for another.
//
// A file that was read before is not read again to be recognised: its pages are
// looked at where the system has them, through windows of some megabytes, and of
// a large one by two, from both ends. What is new is copied before it is looked
// at, since others may write the file meanwhile.
//
// It guarantees that the texts of the stretches, one after the other, are the
// file; that a stretch of the last reading is found at most once; that a file
// that is as it was costs one hash of each of its octets and nothing for its
// lines; and that memory is that of a few stretches, however large the file is.
// It never knows what the lines mean: where a stretch may begin, and whether one
// of the last reading stands where it means the same, is for the Divider.
package chunk
