//go:build !race

package controller_test

func rounds[N int | uint64](n N) N { return n }
