// Checks a dashboard against the types Grafana generates from its own schemas: node grafana-types.mjs DASHBOARD.json
// A property Grafana does not know, or one of another type, is said with its panel; what is left out has Grafana's default.
// Grafana itself is not needed (nor is it to be had from a package manager).
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const here = path.dirname(fileURLToPath(import.meta.url));
const sdk = path.join(here, 'node_modules', '@grafana', 'grafana-foundation-sdk', 'dist');
const plugins = { timeseries: ['Options', 'FieldConfig'], heatmap: ['Options', 'FieldConfig'], stat: ['Options', null] };

const dashboard = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const lines = [
  `import type { Dashboard, Panel, RowPanel } from '${sdk}/dashboard';`,
  `import type { dataquery } from '${sdk}/prometheus';`,
  ...Object.keys(plugins).map(name => `import type * as ${name} from '${sdk}/${name}';`),
  // JSON writes an enum as its value and may leave anything out.
  'type Json<T> = unknown extends T ? T : T extends boolean ? T : T extends string ? `${T}` : T extends number ? number : T extends (infer U)[] ? Json<U>[] : T extends object ? { [K in keyof T]?: Json<T[K]> } : T;',
];
const places = [];
const say = (place, type, value) => {
  places[lines.length] = place;
  lines.push(`export const v${lines.length}: Json<${type}> = ${JSON.stringify(value)};`);
};

let panels = 0;
const look = panel => {
  const { type, options, targets, fieldConfig } = panel;
  const place = panel.title ?? type;
  if (type === 'row') {
    say(place, 'RowPanel', { ...panel, panels: [] });
    (panel.panels ?? []).forEach(look);
    return;
  }

  panels++;
  const [optionsType, fieldType] = plugins[type] ?? [];
  if (!optionsType) {
    console.log(`${place}: no types for a ${type} panel are looked at here`);
    process.exitCode = 1;
    return;
  }

  const { custom, ...defaults } = fieldConfig?.defaults ?? {};
  say(place, 'Panel', { ...panel, options: {}, targets: [], fieldConfig: { ...fieldConfig, defaults } });
  say(`${place}: options`, `${type}.${optionsType}`, options ?? {});
  if (fieldType) {
    say(`${place}: fieldConfig.defaults.custom`, `${type}.${fieldType}`, custom ?? {});
  }

  (targets ?? []).forEach((target, at) => say(`${place}: query ${at + 1}`, 'dataquery', target));
};

// Grafana's editor writes the one and its Prometheus data source reads the other, though neither is in the schema.
const variables = dashboard.templating.list.map(({ definition, ...rest }) => rest);
const annotations = dashboard.annotations.list.map(({ titleFormat, ...rest }) => rest);
say('dashboard', 'Dashboard', { ...dashboard, panels: [], templating: { list: variables }, annotations: { list: annotations } });
dashboard.panels.forEach(look);

const name = path.join(here, 'dashboard-check.ts'); // never written: handed to the compiler from memory
const options = { noEmit: true, strict: true, skipLibCheck: true, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, target: ts.ScriptTarget.ES2022 };
const host = ts.createCompilerHost(options);
const read = host.getSourceFile.bind(host);
host.getSourceFile = (file, ...rest) => (file === name ? ts.createSourceFile(name, lines.join('\n'), options.target) : read(file, ...rest));
const program = ts.createProgram([name], options, host);
const found = ts.getPreEmitDiagnostics(program);
for (const one of found) {
  const line = one.file?.fileName === name ? one.file.getLineAndCharacterOfPosition(one.start).line : -1;
  console.log(`${places[line] ?? one.file?.fileName}: ${ts.flattenDiagnosticMessageText(one.messageText, '\n  ')}`);
}

console.log(`${panels} panels, ${places.filter(Boolean).length} values looked at, ${found.length} wrong`);
process.exitCode ||= found.length > 0 ? 1 : 0;
