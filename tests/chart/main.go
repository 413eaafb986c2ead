// Command chart renders a Helm chart with given values, by Helm's own engine:
//
//	chart FOLDER NAME NAMESPACE [VALUES]
//
// It exists for tests alone. VALUES is a YAML file; objects go to standard output.
package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

func render(folder, name, namespace, file string) (map[string]string, error) {
	chart, err := loader.Load(folder)
	if err != nil {
		return nil, err
	}
	values := chartutil.Values{}
	if file != "" {
		if values, err = chartutil.ReadValuesFile(file); err != nil {
			return nil, err
		}
	}
	release := chartutil.ReleaseOptions{Name: name, Namespace: namespace, IsInstall: true}
	all, err := chartutil.ToRenderValues(chart, values, release, nil)
	if err != nil {
		return nil, err
	}
	return engine.Engine{Strict: true}.Render(chart, all)
}

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: chart FOLDER NAME NAMESPACE [VALUES]")
		os.Exit(2)
	}
	file := strings.Join(os.Args[4:], "")
	rendered, err := render(os.Args[1], os.Args[2], os.Args[3], file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, template := range slices.Sorted(maps.Keys(rendered)) {
		fmt.Printf("---\n%s\n", rendered[template])
	}
}
