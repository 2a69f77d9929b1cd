package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rhumb-dns/rhumb/spec"
)

func (c *cli) importCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Print files of other programs as configuration",
		Args:  subcommands,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.importGSLBCommand())
	return cmd
}

func (c *cli) importGSLBCommand() *cobra.Command {
	var g spec.GSLB
	cmd := &cobra.Command{
		Use:   "coredns-gslb FILE...",
		Short: "Print the YAML files of CoreDNS-GSLB as configuration",
		Long: "Prints what the files say in Rhumb's words, with their comments: zone files,\n" +
			"healthcheck_profiles and maps of locations, all of one node together.\n" +
			"The zone of a zone file stands in front of it, ZONE=FILE, as in the Corefile;\n" +
			"otherwise it is taken from the file's name and its records.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("FILE is missing")
			}
			return nil
		},
		RunE: running(func(_ *cobra.Command, args []string) error {
			g.Name, g.Files = "import", nil
			for _, arg := range args {
				zone, file, stated := strings.Cut(arg, "=")
				if !stated {
					file = arg
					var err error
					if zone, err = spec.ZoneOfGSLB(file); err != nil {
						return err
					}
				}
				g.Files = append(g.Files, spec.GSLBFile{Path: file, Zone: zone})
			}
			text, warnings, err := spec.ConvertGSLB(&g)
			if err != nil {
				return err
			}
			for _, w := range warnings {
				if w.File != g.Name {
					fmt.Fprintf(c.err, "warning: %s\n", w)
				}
			}
			_, err = fmt.Fprint(c.out.w, text)
			return err
		}),
	}
	cmd.Flags().BoolVar(&g.DebugTXT, "debug-txt", false, "answer TXT queries with the state of the backends, as CoreDNS-GSLB does without disable_txt")
	return cmd
}
