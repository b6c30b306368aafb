// Holds custom resources, a JSON list on standard input, to the models of their operators; prints what each says.
// usage: node models.mjs FOLDER-WITH-node_modules < OBJECTS
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const packages = { "monitoring.coreos.com": "prometheus-operator", "cert-manager.io": "cert-manager", "keda.sh": "keda" };
const said = [];
for (const { kind, apiVersion, ...content } of JSON.parse(readFileSync(0, "utf8"))) {
  const group = apiVersion.split("/")[0];
  const path = resolve(process.argv[2], "node_modules/@kubernetes-models", packages[group], apiVersion, `${kind}.js`);
  const model = await import(pathToFileURL(path));
  try {
    new model[kind](content).validate();
    said.push("");
  } catch (error) {
    said.push(error.message);
  }
}
console.log(JSON.stringify(said));
