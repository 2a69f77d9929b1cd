//go:build !linux && !darwin

package geo

func allocate(size int) *room { return &room{content: make([]byte, size)} }
