// The server, asked with the token of whoever sits here.
//
// The token is in the session storage of this tab alone: it goes with no request by itself, as a cookie would, also to
// other ports of the same machine; no other page can have it sent; and it is gone with the tab.

const KEPT = "set-dresser-token";

export class Refused extends Error {
  // A problem document of the server. `wait`: seconds until it may be asked again.
  constructor(problem, wait) {
    super([problem.detail, problem.hint].filter(Boolean).join(" "));
    this.code = problem.code;
    this.wait = wait;
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEPT),
  keep: (text) => sessionStorage.setItem(KEPT, text),
  forget: () => sessionStorage.removeItem(KEPT),
};

// The answer to a request. Throws Refused, or TypeError where the server is not reached.
export async function ask(method, path, body) {
  const headers = { Authorization: `Bearer ${token.get()}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
  });
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({ detail: `The server answers ${answer.status}.` }));
    throw new Refused(problem, Number(answer.headers.get("Retry-After")) || 0);
  }
  return answer;
}

export const told = async (path) => (await ask("GET", path)).json();

export const jobPath = (job, ...rest) => ["", "jobs", job, ...rest].map(encodeURIComponent).join("/");

// Pictures of jobs as addresses that an <img> can show, each fetched once and kept while something shows it.
export class Pictures {
  #known = new Map();

  // `version` tells one picture of a name from the next.
  async address(job, file, version = 0) {
    const key = `${job}/${file}/${version}`;
    if (!this.#known.has(key)) this.#known.set(key, this.#fetched(jobPath(job, "files", file)));
    try {
      return await this.#known.get(key);
    } catch (error) {
      this.#known.delete(key);
      throw error;
    }
  }

  async #fetched(path) {
    const bytes = await (await ask("GET", path)).blob();
    return URL.createObjectURL(bytes);
  }

  async drop(job, file, version = 0) {
    const key = `${job}/${file}/${version}`;
    const address = this.#known.get(key);
    this.#known.delete(key);
    if (address) await address.then(URL.revokeObjectURL, () => {});
  }

  dropAll() {
    for (const address of this.#known.values()) address.then(URL.revokeObjectURL, () => {});
    this.#known.clear();
  }
}
