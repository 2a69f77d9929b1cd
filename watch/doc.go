// Package watch tells when files may have become others: written in place,
// replaced by a rename, or reached through a symbolic link that was turned to
// another directory, as Kubernetes does with a ConfigMap. It watches the
// directories, since a watch on a file ends with the file, and looks all the same
// every PollTime, for file systems that report nothing, such as NFS.
//
// It reads no file and decides nothing: whether they are others is for its caller
// to find out.
package watch
