// Package near finds the word that was probably meant, for messages about one that nobody
// knows. The same words give the same answer, in whatever order they come.
package near
