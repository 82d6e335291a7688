//! French.

use super::{Said, Words};
use crate::RejectionCode;

pub(super) const WORDS: Words = Words {
    try_now: "Essayer maintenant",
    try_again: "Réessayer",
    by_itself: "Cette page redemande d’elle-même toutes les quelques secondes.",
    next: "Prochain essai dans {n} s",
    trying: "Essai en cours…",
    offline: "En attente de votre connexion",
    opening: "Ouverture…",
    keeps_trying: "Cette page continue d’essayer d’elle-même.",
    not_yet: "Pas encore. Nouvel essai dans {n} secondes.",
    code: "Code",
    session: "Session",
    time: "Heure",
    machine: "Machine",
    owner: "Propriétaire",
    technical: "Ce qui s’est passé, en termes techniques (en anglais)",
};

const TELL_THEM: &str = "Les responsables de ce site peuvent y remédier. Les lignes ci-dessous leur indiquent quoi chercher.";
const GO_BACK: &str = "Attendez un instant, puis revenez en arrière et réessayez.";
const CHECK_FIRST: &str = "Il n’est pas certain que ce que vous avez envoyé soit arrivé. Attendez un instant, revenez en arrière et vérifiez avant de l’envoyer de nouveau.";
const CHECK_THE_LINK: &str =
    "Si vous avez suivi un lien ou saisi une adresse, vérifiez qu’elle est complète.";
const START_ANOTHER: &str = "Pour continuer, démarrez-en une nouvelle.";

pub(super) const TOO_LARGE: Said = Said::ended(
    "Ceci n’a pas pu être transmis",
    "Un autre ordinateur exécute cette session, et ce que vous avez envoyé est trop volumineux pour y être acheminé, ou n’indique pas sa taille.",
    "S’il s’agissait d’un fichier, essayez avec un plus petit.",
);

const fn fault(headline: &'static str, sentence: &'static str) -> Said {
    Said::ended(headline, sentence, TELL_THEM)
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
pub(super) fn said(code: RejectionCode) -> Said {
    match code {
        RejectionCode::SessionMalformed => Said::ended(
            "On ne sait pas quoi ouvrir",
            "La partie de la requête qui devrait indiquer la session voulue est illisible.",
            CHECK_THE_LINK,
        ),
        RejectionCode::SessionMissing => Said::ended(
            "Rien n’a été choisi",
            "La requête n’indique pas quelle session vous voulez.",
            CHECK_THE_LINK,
        ),
        RejectionCode::SessionUnknown => Said::ended(
            "Cette session n’existe pas",
            "Ce site ne connaît aucune session de ce nom.",
            CHECK_THE_LINK,
        ),
        RejectionCode::SessionOver => Said::ended(
            "Cette session est terminée",
            "Elle a été fermée, ou le temps qui lui était accordé est écoulé. Elle ne reviendra pas.",
            START_ANOTHER,
        ),
        RejectionCode::SessionForbidden => Said::ended(
            "Cette session ne vous est pas ouverte",
            "Ce site n’a pas laissé passer votre requête.",
            "Si vous pensez qu’il aurait dû, adressez-vous à la personne qui vous a donné l’accès.",
        ),
        RejectionCode::SessionUnregistered => Said::passing(
            "Le démarrage a échoué",
            "Ce que vous avez demandé n’a pas pu être démarré à l’instant.",
            "Vous pouvez laisser cette page ouverte : elle réessaiera d’elle-même.",
            "Veuillez revenir en arrière et réessayer.",
        ),
        RejectionCode::SessionStarting => Said::passing(
            "Cette page démarre",
            "Elle n’est pas encore prête.",
            "Vous pouvez laisser cette page ouverte : elle s’ouvrira d’elle-même dès qu’elle sera prête.",
            GO_BACK,
        ),
        RejectionCode::SessionUnassigned => Said::passing(
            "Cette page n’est pas en service",
            "L’ordinateur qui l’exécutait y a renoncé, et aucun autre ne l’a reprise.",
            "Vous pouvez laisser cette page ouverte : elle vérifie de temps en temps et s’ouvrira d’elle-même quand un ordinateur l’aura reprise.",
            GO_BACK,
        ),
        RejectionCode::SessionMoving => Said::passing(
            "Cette page change de place",
            "Un autre ordinateur est sur le point de l’exécuter.",
            "Vous pouvez laisser cette page ouverte : elle s’ouvrira d’elle-même dans quelques secondes.",
            GO_BACK,
        ),
        RejectionCode::OwnerLost => Said::passing(
            "Cette page ne donne plus de nouvelles",
            "L’ordinateur qui l’exécute ne s’est pas manifesté depuis un moment.",
            "Vous pouvez laisser cette page ouverte : elle continue d’essayer et s’ouvrira d’elle-même quand cet ordinateur sera de retour ou qu’un autre aura pris sa place.",
            CHECK_FIRST,
        ),
        RejectionCode::OwnerNeverSeen => Said::passing(
            "Cette page n’est pas encore en service",
            "L’ordinateur qui devrait l’exécuter n’a pas démarré, ou n’a jamais été mis en place.",
            "Vous pouvez laisser cette page ouverte : elle continue d’essayer et s’ouvrira d’elle-même quand cet ordinateur démarrera.",
            GO_BACK,
        ),
        RejectionCode::DuplicateIdentity => Said::passing(
            "Cette page ne peut pas être ouverte pour le moment",
            "Deux ordinateurs disent exécuter cette page, et celui-ci s’est arrêté.",
            "Vous pouvez laisser cette page ouverte : elle continue d’essayer et s’ouvrira d’elle-même.",
            GO_BACK,
        ),
        RejectionCode::ReplayNotHonoured => fault(
            "Cette page se trouve ailleurs",
            "Un autre ordinateur l’exécute, et votre requête n’y a pas été acheminée.",
        ),
        RejectionCode::OwnerUnreachable => Said::passing(
            "Cette page est injoignable pour le moment",
            "L’ordinateur qui l’exécute n’a pas pu être joint.",
            "Vous pouvez laisser cette page ouverte : elle continue d’essayer et s’ouvrira d’elle-même quand cet ordinateur répondra.",
            CHECK_FIRST,
        ),
        RejectionCode::ReplayLoop => fault(
            "Le chemin vers cette page est introuvable",
            "Votre requête est passée d’un ordinateur à l’autre, et aucun d’eux n’exécute cette page.",
        ),
        RejectionCode::NotReplayable => fault(
            "Ceci n’a pas pu être acheminé",
            "Un autre ordinateur exécute cette session, et votre requête n’a pas pu y être acheminée.",
        ),
        RejectionCode::SessionAbsent => Said::ended(
            "Cette session est perdue",
            "L’ordinateur qui devrait l’exécuter ne l’a plus. Attendre ne la fera pas revenir.",
            START_ANOTHER,
        ),
        RejectionCode::DirectoryCorrupt => fault(
            "Cette page ne peut pas être ouverte",
            "Ce qui est enregistré sur l’endroit où elle s’exécute est inutilisable.",
        ),
        RejectionCode::LookupUnavailable => Said::passing(
            "Un instant, s’il vous plaît",
            "Ce site n’a pas pu chercher où se trouve votre page. Cela ne dit rien de la page elle-même.",
            "Vous pouvez laisser cette page ouverte : elle continue d’essayer et s’ouvrira d’elle-même.",
            GO_BACK,
        ),
    }
}
