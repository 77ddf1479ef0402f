// Build what vercel.json names in a copy of the tree: node build.mjs TREE OUT
//
// OUT/NAME is then what a function of that name finds in /var/task, and OUT/NAME.json how it is
// started. The builder writes into TREE.
import { link, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import buildUtils from '@vercel/build-utils';
import python from '@vercel/python';

const [tree, out] = process.argv.slice(2);
const project = JSON.parse(await readFile(join(tree, 'vercel.json')));
// A deployment gives these to the builder.
Object.assign(process.env, project.build.env);

for (const { src, config } of project.builds) {
  for (const entrypoint of Object.keys(await buildUtils.glob(src, tree)).sort()) {
    const { result } = await python.build({
      files: {},
      entrypoint,
      workPath: tree,
      repoRootPath: tree,
      config,
      meta: { skipDownload: true },
    });
    await layOut(result.output, join(out, basename(entrypoint, '.py')));
  }
}

async function layOut({ files, handler, runtime, environment, maxDuration }, folder) {
  for (const [path, file] of Object.entries(files)) {
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true });
    // A link costs nothing, and all functions have the same files.
    await (file.fsPath ? link(file.fsPath, target) : writeFile(target, file.data));
  }
  await writeFile(`${folder}.json`, JSON.stringify({ handler, runtime, environment, maxDuration }));
}
