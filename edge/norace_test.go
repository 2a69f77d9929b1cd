//go:build !race

package edge

func rounds[N int | uint64](n N) N { return n }
